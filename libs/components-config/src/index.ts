export { configDriver, parseConfigConfig, type ConfigComponentConfig } from './driver.ts';
export { REDACTED, SECRET_PARTS, SECRET_WORDS, isSecretKey } from './secret-keys.ts';
