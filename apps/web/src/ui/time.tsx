import type { ReactElement } from 'react';
import { useI18n } from '../i18n/context.tsx';

/** `3 hours ago`, with the whole date as its title. */
export function Ago({ at, now }: { at: string; now: number }): ReactElement {
  const { relative, fullDateTime } = useI18n();
  const time = Date.parse(at);
  return (
    <time dateTime={at} title={fullDateTime(time)}>
      {relative(time, now)}
    </time>
  );
}

/** `23 Nov, 02:00`, with the whole date as its title. */
export function At({ at, now }: { at: string; now: number }): ReactElement {
  const { dateTime, fullDateTime } = useI18n();
  const time = Date.parse(at);
  return (
    <time dateTime={at} title={fullDateTime(time)}>
      {dateTime(time, now)}
    </time>
  );
}
