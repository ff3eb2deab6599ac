// expect: runtime-imports
import '@nestjs/core';
