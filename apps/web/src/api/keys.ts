/** Keys of the query cache; a shorter key covers all that begin with it. */
export const keys = {
  backups: ['backups'] as const,
  backup: ['backup'] as const,
  backupNamed: (name: string) => ['backup', name] as const,
  tree: (name: string, path: string) => ['tree', name, path] as const,
  runs: ['runs'] as const,
  run: (id: string) => ['run', id] as const,
  journal: (id: string) => ['journal', id] as const,
  stats: ['stats'] as const,
  health: ['health'] as const,
  components: ['components'] as const,
  preview: (name: string, components: readonly string[], target: string | undefined) =>
    ['preview', name, components, target ?? null] as const,
  cleanupPreview: ['cleanup-preview'] as const,
};
