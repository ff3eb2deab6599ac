export { filesDriver, parseFilesConfig, IGNORE_FILE, type FilesConfig } from './driver.ts';
