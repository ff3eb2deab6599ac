import { Button, Modal, TextInput } from '@mantine/core';
import { useState, type ReactElement, type ReactNode, type SyntheticEvent } from 'react';
import { matchesCode, newConfirmationCode } from '../domain/confirmation.ts';
import { useI18n } from '../i18n/context.tsx';

interface DialogProps {
  opened: boolean;
  onClose: () => void;
  title: string;
  /** What follows from it, before anything else. */
  children: ReactNode;
  /** A verb. */
  confirm: string;
  onConfirm: () => void;
  pending?: boolean;
  disabled?: boolean;
  danger?: boolean;
  cancel?: string;
}

/** Cancel has the focus when it opens; Escape cancels; the focus returns to what opened it. */
export function ConfirmDialog(props: DialogProps): ReactElement {
  const { t } = useI18n();
  const { opened, onClose, title, children, confirm, onConfirm, cancel = t('cancel') } = props;
  const { pending = false, disabled = false, danger = false } = props;
  return (
    <Modal opened={opened} onClose={onClose} title={title} closeButtonProps={{ 'aria-label': t('close') }}>
      <div className="stack stack-l">
        {children}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={onClose} data-autofocus>
            {cancel}
          </Button>
          <Button color={danger ? 'danger' : 'ink'} onClick={onConfirm} disabled={disabled || pending}>
            {confirm}
          </Button>
        </div>
      </div>
    </Modal>
  );
}

/** For what cannot be taken back lightly: a short code is typed first, another one each time it opens. */
export function CodeDialog(props: Omit<DialogProps, 'disabled' | 'danger'>): ReactElement {
  const { t } = useI18n();
  const { opened, pending = false, onConfirm, children } = props;
  const [wasOpened, setWasOpened] = useState(opened);
  const [code, setCode] = useState(() => newConfirmationCode());
  const [typed, setTyped] = useState('');
  if (opened !== wasOpened) {
    setWasOpened(opened);
    if (opened) {
      setCode(newConfirmationCode());
      setTyped('');
    }
  }
  const right = matchesCode(typed, code);
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (right && !pending) onConfirm();
  };
  return (
    <ConfirmDialog {...props} danger disabled={!right}>
      {children}
      <form onSubmit={submit}>
        <TextInput
          label={t('confirmCode', { code })}
          value={typed}
          onChange={(event) => {
            setTyped(event.currentTarget.value);
          }}
          error={typed.trim().length >= code.length && !right ? t('confirmWrong') : undefined}
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck={false}
          maw={240}
        />
      </form>
    </ConfirmDialog>
  );
}
