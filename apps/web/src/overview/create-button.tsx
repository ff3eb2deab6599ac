import { ActionIcon, Button, Menu } from '@mantine/core';
import { useEffect, useState, type ReactElement } from 'react';
import { api } from '../api/endpoints.ts';
import { useRunAction } from '../api/mutations.ts';
import { useComponents, useOffline, useRuns } from '../api/queries.ts';
import { useI18n } from '../i18n/context.tsx';
import { isFinished } from '../live/tracked-run.ts';
import { Icon } from '../ui/icons.tsx';
import { Problem } from '../ui/problem.tsx';
import { componentName } from '../ui/words.ts';
import { CreateDialog, type CreateChoice } from './create-dialog.tsx';

/** So long after a press nothing can be started anew: a small backup may end between the two clicks of a double click. */
const SETTLE_MS = 1500;

function useSettling(): [boolean, () => void] {
  const [settling, setSettling] = useState(false);
  useEffect(() => {
    if (!settling) return undefined;
    const timer = setTimeout(() => {
      setSettling(false);
    }, SETTLE_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [settling]);
  return [
    settling,
    () => {
      setSettling(true);
    },
  ];
}

interface Creation {
  start: (choice: CreateChoice) => void;
  disabled: boolean;
  error: Error | null;
  reset: () => void;
}

function useCreation(onStarted: () => void): Creation {
  const { data: runs = [] } = useRuns();
  const offline = useOffline();
  const [settling, settle] = useSettling();
  const { start, pending, error, reset } = useRunAction(api.create, onStarted);
  const running = runs.some((run) => run.command === 'create' && !isFinished(run.status));
  const disabled = pending || settling || running || offline;
  return {
    start: (choice) => {
      if (disabled) return;
      settle();
      start(choice);
    },
    disabled,
    error,
    reset,
  };
}

/** Starts a full backup with one click; the menu beside it offers parts of it. */
export function CreateButton(): ReactElement {
  const i18n = useI18n();
  const { t } = i18n;
  const { data: components = [] } = useComponents();
  const [dialog, setDialog] = useState(false);
  const { start, disabled, error, reset } = useCreation(() => {
    setDialog(false);
  });
  return (
    <div className="stack">
      <div className="split">
        <Button
          size="md"
          disabled={disabled}
          onClick={() => {
            start({});
          }}
        >
          {t('createFull')}
        </Button>
        <Menu position="bottom-end" shadow="md" withInitialFocusPlaceholder={false}>
          <Menu.Target>
            <ActionIcon size={42} aria-label={t('createMenu')} disabled={disabled}>
              <Icon name="down" />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            {components.map(({ instance }) => (
              <Menu.Item
                key={instance}
                onClick={() => {
                  start({ components: [instance] });
                }}
              >
                {t('createOnly', { component: componentName(i18n, instance) })}
              </Menu.Item>
            ))}
            {components.length > 0 && <Menu.Divider role="separator" />}
            <Menu.Item
              onClick={() => {
                reset();
                setDialog(true);
              }}
            >
              {t('createOptions')}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </div>
      {error !== null && !dialog && <Problem error={error} />}
      <CreateDialog
        opened={dialog}
        onClose={() => {
          setDialog(false);
        }}
        components={components}
        error={error}
        disabled={disabled}
        onStart={start}
      />
    </div>
  );
}
