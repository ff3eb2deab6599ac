// expect: engine-imports
import '@nestjs/common';
