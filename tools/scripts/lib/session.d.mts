export function sessionIn(readme: string): string;
export function replaceSession(readme: string, session: string): string;
export function differences(expected: string, actual: string): string[];
