export * from './errors.ts';
export * from './events.ts';
export * from './clock.ts';
export * from './content.ts';
export * from './ids.ts';
export * from './names.ts';
export * from './abort.ts';
export * from './assert.ts';
