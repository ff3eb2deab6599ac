// expect: engine-imports
import 'typeorm';
