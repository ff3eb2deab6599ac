import { Button, Checkbox, Modal, TextInput } from '@mantine/core';
import { useState, type ReactElement, type SyntheticEvent } from 'react';
import type { api, Configured } from '../api/endpoints.ts';
import { useI18n } from '../i18n/context.tsx';
import { Problem } from '../ui/problem.tsx';
import { componentName } from '../ui/words.ts';

export type CreateChoice = Parameters<typeof api.create>[0];

interface CreateDialogProps {
  opened: boolean;
  onClose: () => void;
  components: readonly Configured[];
  error: Error | null;
  disabled: boolean;
  onStart: (choice: CreateChoice) => void;
}

export function CreateDialog(props: CreateDialogProps): ReactElement {
  const { t } = useI18n();
  const { opened, onClose } = props;
  return (
    <Modal opened={opened} onClose={onClose} title={t('createTitle')} closeButtonProps={{ 'aria-label': t('close') }}>
      <CreateForm {...props} />
    </Modal>
  );
}

function CreateForm({ onClose, components, error, disabled, onStart }: CreateDialogProps): ReactElement {
  const i18n = useI18n();
  const { t } = i18n;
  const [name, setName] = useState('');
  const [verify, setVerify] = useState(true);
  const [left, setLeft] = useState<readonly string[]>([]);
  const chosen = components.map(({ instance }) => instance).filter((instance) => !left.includes(instance));
  const nothing = components.length > 0 && chosen.length === 0;
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (nothing || disabled) return;
    onStart({
      ...(name.trim() === '' ? {} : { backup_name: name.trim() }),
      ...(chosen.length === components.length ? {} : { components: chosen }),
      verify,
    });
  };
  return (
    <form className="stack stack-l" onSubmit={submit}>
      <TextInput
        label={t('createName')}
        description={t('createNameHint')}
        value={name}
        onChange={(event) => {
          setName(event.currentTarget.value);
        }}
        maxLength={100}
        autoComplete="off"
        spellCheck={false}
      />
      <Checkbox.Group
        label={t('createComponents')}
        value={[...chosen]}
        onChange={(values) => {
          setLeft(components.map(({ instance }) => instance).filter((instance) => !values.includes(instance)));
        }}
        error={nothing ? t('createNothing') : undefined}
      >
        <div className="stack" style={{ paddingBlock: 8 }}>
          {components.map(({ instance }) => (
            <Checkbox key={instance} value={instance} label={componentName(i18n, instance)} />
          ))}
        </div>
      </Checkbox.Group>
      <Checkbox
        checked={verify}
        onChange={(event) => {
          setVerify(event.currentTarget.checked);
        }}
        label={t('createVerify')}
      />
      {error !== null && <Problem error={error} />}
      <div className="row" style={{ justifyContent: 'flex-end' }}>
        <Button variant="default" onClick={onClose}>
          {t('cancel')}
        </Button>
        <Button type="submit" disabled={nothing || disabled}>
          {t('createStart')}
        </Button>
      </div>
    </form>
  );
}
