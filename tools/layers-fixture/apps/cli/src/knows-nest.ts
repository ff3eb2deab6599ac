// expect: cli-imports
import '@nestjs/common';
