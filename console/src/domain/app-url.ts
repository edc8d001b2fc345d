// Addresses of apps, from the pattern that the deployment's configuration gives: `*` stands for the host's label.

/** The address of a machine's app; with a port, the one on that port. */
export function appUrl(pattern: string, org: string, machine: string, port?: number): string {
  const label = port === undefined ? `${machine}--${org}` : `${port}--${machine}--${org}`;
  return pattern.replace("*", label);
}
