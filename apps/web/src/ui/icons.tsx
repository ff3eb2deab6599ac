import type { ReactElement } from 'react';

const PATHS = {
  ok: 'M3 8.500l3.200 3.200L13 5',
  attention: 'M8 2l6.500 11.500h-13zM8 6.500v3.200M8 11.600v.4',
  failed: 'M4 4l8 8M12 4l-8 8',
  running: 'M5 3l7.500 5L5 13z',
  waiting: 'M8 2a6 6 0 100 12A6 6 0 008 2zM8 5v3.200l2 1.300',
  stopped: 'M4 4h8v8H4z',
  unknown: 'M5.700 5.900A2.400 2.400 0 018 4c1.400 0 2.400.9 2.400 2.100 0 1.600-2.400 1.800-2.400 3.500M8 12.300v.4',
  folder: 'M2 4h4l1.500 1.500H14v7.500H2z',
  file: 'M4 2h5l3 3v9H4zM9 2v3h3',
  link: 'M9 2h5v5M14 2L7.500 8.500M12 9.500V14H2V4h4.500',
  down: 'M4 6l4 4 4-4',
  sun: 'M8 5a3 3 0 100 6 3 3 0 000-6zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1',
  moon: 'M13.500 9.500A6 6 0 016.500 2.500a6 6 0 107 7z',
} as const;

export type IconName = keyof typeof PATHS;

/** Always beside a word, or inside a button that has a name: it says nothing by itself. */
export function Icon({ name }: { name: IconName }): ReactElement {
  return (
    <svg
      className="icon"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
