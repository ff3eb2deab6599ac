import { Fragment, type ReactElement } from 'react';

/** A backup's name that may wrap where its parts end, so that no date loses its last digit to the next line. */
export function BackupName({ name }: { name: string }): ReactElement {
  return (
    <>
      {name.split(/(?<=[._-])(?=[^._-])/).map((part, i) => (
        <Fragment key={i}>
          {i > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </>
  );
}
