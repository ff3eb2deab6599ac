/** Longest line of a checksums file: a hash, two blanks, and a path of 4,095 bytes each of which may be escaped. */
export const CHECKSUM_LINE_MAX = 64 + 3 + 2 * 4096;

/**
 * A line as `sha256sum` writes it and `sha256sum -c` reads it, without its newline. Names with a backslash, a newline or a
 * carriage return are escaped, and the line then starts with a backslash (GNU coreutils manual, "md5sum invocation").
 */
export function checksumLine(sha256: string, path: string): string {
  const escaped = path.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return `${escaped === path ? '' : '\\'}${sha256}  ${escaped}`;
}
