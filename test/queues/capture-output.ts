/** What a command prints while it runs in this process. */
export async function captureOutput(run: () => Promise<unknown>): Promise<string> {
  const { stdout } = process;
  const write = stdout.write.bind(stdout);
  let printed = '';
  stdout.write = (text: string) => {
    printed += text;
    return true;
  };
  try {
    await run();
  } finally {
    stdout.write = write;
  }
  return printed;
}
