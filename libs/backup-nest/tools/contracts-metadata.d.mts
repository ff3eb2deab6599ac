/** Absolute path of src/openapi/contracts-metadata.ts. */
export const TARGET: string;
/** The text of that file for the contracts as they are now. */
export function contractsMetadata(): Promise<string>;
