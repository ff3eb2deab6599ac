import { describe, expect, it } from 'vitest';
import { ConfigReader, defineComponent } from './index.ts';

const EXAMPLES = { include: '[./data]', deep: 'true' };

describe('ConfigReader', () => {
  it('names the key, the reason and an example, and never the value', () => {
    const read = (value: unknown): string => {
      try {
        const reader = new ConfigReader('files:main', value, EXAMPLES);
        reader.requiredStrings('include');
        reader.boolean('deep', false);
      } catch (error) {
        return `${(error as Error).message} | ${(error as { hint: string }).hint}`;
      }
      return 'ok';
    };
    expect(read({ driver: 'directory', include: ['a'] })).toBe('ok');
    expect(read({ inclde: ['hunter2'] })).toBe(
      'components.files:main.inclde is not a known setting | Known settings: include, deep. Example: include: [./data]',
    );
    expect(read({})).toMatch(/include is missing \| Example: include: \[\.\/data\]/);
    expect(read({ include: [] })).toMatch(/must not be empty/);
    expect(read({ include: ['a', 7] })).toMatch(/entry 2 must be a text/);
    expect(read({ include: ['a'], deep: 'hunter2' })).toMatch(/deep must be true or false/);
    expect(read({ include: ['a'], deep: 'hunter2' })).not.toMatch(/hunter2/);
    expect(read(JSON.parse('{"__proto__": 1, "include": ["a"]}'))).toMatch(/__proto__ is not a known setting/);
    expect(read(['a'])).toMatch(/must be a mapping/);
  });
});

describe('defineComponent', () => {
  const open = (): never => {
    throw new Error('opened');
  };
  it('refuses names that cannot be a type or a driver', () => {
    expect(() => defineComponent({ type: 'Mail', driver: 'x', open })).toThrow(/cannot be the type/);
    expect(() => defineComponent({ type: 'mail', driver: 'X Y', open })).toThrow(/cannot be the name/);
  });
  it('takes no settings unless it checks them', () => {
    const driver = defineComponent({ type: 'mail', driver: 'maildir', open });
    const context = { baseDir: '/', scratchDir: '/', env: {}, encrypted: true } as never;
    expect(() => driver.open('mail', { driver: 'maildir', box: 1 }, context)).toThrow(/unknown key "box"/);
    expect(() => driver.open('mail', { driver: 'maildir' }, context)).toThrow('opened');
  });
});
