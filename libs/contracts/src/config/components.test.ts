import { describe, expect, it } from 'vitest';
import { componentSpecs } from './components.ts';
import type { ComponentSpec } from './components.ts';
import type { ConfigIssue, ConfigValue } from './issues.ts';

function specs(section: ConfigValue | undefined, plugins = false): { specs: ComponentSpec[]; issues: ConfigIssue[] } {
  const issues: ConfigIssue[] = [];
  return { specs: componentSpecs(section, plugins, issues), issues };
}

describe('one of a kind or several', () => {
  it('a configuration without a name is the instance main', () => {
    expect(specs({ database: { driver: 'sqlite', path: './a.db' } }).specs).toEqual([
      { instance: 'database:main', type: 'database', driver: 'sqlite', config: { driver: 'sqlite', path: './a.db' } },
    ]);
  });

  it('a mapping of mappings names its instances', () => {
    const { specs: found, issues } = specs({
      database: { main: { path: './a.db' }, analytics: { path: './b.db', driver: 'sqlite' } },
    });
    expect(issues).toEqual([]);
    expect(found.map(({ instance, driver }) => [instance, driver])).toEqual([
      ['database:main', undefined],
      ['database:analytics', 'sqlite'],
    ]);
  });

  it.each([
    [{ path: './a.db' }],
    [{ include: ['./x'] }],
    [{ url: 'http://127.0.0.1:6333' }],
    [{ driver: 'qdrant', options: {} }],
    // Nothing but a list: no name could have a list as its configuration.
    [{ env: ['LOG_LEVEL'] }],
    // A marker wins over mappings beside it.
    [{ path: './a.db', hooks: {} }],
  ])('%j is one configuration', (config) => {
    expect(specs({ config }).specs.map((one) => one.instance)).toEqual(['config:main']);
  });

  it('keeps the order of the file', () => {
    const section = {
      vector_store: { path: 'v' },
      database: { b: { path: 'b' }, a: { path: 'a' } },
      files: { include: ['f'] },
    };
    expect(specs(section).specs.map((one) => one.instance)).toEqual([
      'vector_store:main',
      'database:b',
      'database:a',
      'files:main',
    ]);
  });
});

describe('what is refused', () => {
  it.each<[string, ConfigValue | undefined]>([
    ['components', undefined],
    ['components', null],
    ['components', {}],
    ['components', []],
    ['components', 'database'],
    ['components.database', { database: null }],
    ['components.database', { database: {} }],
    ['components.database', { database: './a.db' }],
    ['components.database', { database: ['./a.db'] }],
    ['components.database.driver', { database: { driver: 7 } }],
    ['components.database.x.driver', { database: { x: { driver: 'No Such' } } }],
    ['components.database.Main', { database: { Main: { path: 'a' } } }],
    ['components.database.-x', { database: { '-x': { path: 'a' } } }],
    ['components.mail', { mail: { path: 'x' } }],
  ])('%s in %j', (key, section) => {
    const { specs: found, issues } = specs(section);
    expect(found).toEqual([]);
    expect(issues.map((one) => one.key)).toEqual([key]);
  });

  it('a slip in a kind is recognised', () => {
    expect(specs({ databse: { path: 'x' } }).issues[0]?.suggestion).toBe('database');
    expect(specs({ 'vector-store': { path: 'x' } }).issues[0]?.suggestion).toBe('vector_store');
  });

  it('kinds of plugins are allowed where plugins are listed', () => {
    expect(specs({ mail: { path: 'x' } }, true).specs[0]?.instance).toBe('mail:main');
    expect(specs({ Mail: { path: 'x' } }, true).issues).toHaveLength(1);
    expect(specs({ mail: {} }, true).issues).toHaveLength(1);
  });

  it('more than 200 instances', () => {
    const many = Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`n${String(i)}`, { path: 'x' }]));
    expect(specs({ database: many }).issues[0]?.reason).toContain('200');
  });
});
