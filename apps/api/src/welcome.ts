import path from 'node:path';
import type { ResolvedConfig } from '@foodsave-backup/runtime';

/** What a person sees who has just started the server. */
export function welcome(config: ResolvedConfig, url: string): string {
  const api = `${url}/api/v2/backup`;
  const shown = (file: string): string => {
    const relative = path.relative(process.cwd(), file);
    return relative.startsWith('..') ? file : `./${relative}`;
  };
  const components = config.components.map((component) => component.instance).join(', ');
  return `
FoodSave Backup: ${url}/backup

  application   ${config.application} (${components || 'no components configured'})
  backups       ${shown(config.repositoryPath)}
  configuration ${path.isAbsolute(config.source) ? shown(config.source) : config.source}
  log           ${shown(config.logFile)}

Try next, in another terminal:
  curl -X POST "${api}/create?verify=true"
  curl "${api}/list"
  curl "${api}/health"
  bin/foodsave-backup list
  bin/foodsave-backup restore NAME --target /tmp/restored

Every request: ${url}/api/docs    Stop: Ctrl+C

`;
}
