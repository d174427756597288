// What a person sees while something takes time: one line a step, its duration when it took over two seconds.

export interface Progress {
  /** Runs a step under its title. Output given to `detail` is shown only where there is a terminal to overwrite. */
  step<T>(title: string, work: (detail: (text: string) => void) => Promise<T>): Promise<T>;
  line(text: string): void;
}

export function createProgress(out: NodeJS.WriteStream): Progress {
  const isTerminal = out.isTTY === true;
  const clearLine = isTerminal ? '\r\x1b[K' : '';
  return {
    line: (text) => void out.write(`${text}\n`),
    async step(title, work) {
      const start = performance.now();
      const seconds = () => Math.round((performance.now() - start) / 1000);
      let detail = '';
      const draw = () => {
        const text = `  ${title} ... ${seconds()} s ${detail}`;
        if (isTerminal) out.write(`${clearLine}${text.slice(0, (out.columns ?? 80) - 1)}`);
      };
      const ticker = setInterval(draw, 500);
      if (isTerminal) out.write(`  ${title} ...`);
      try {
        const result = await work((text) => {
          detail = text.trim().split('\n').at(-1) ?? '';
        });
        out.write(`${clearLine}  ${title}${seconds() >= 2 ? ` (${seconds()} s)` : ''}\n`);
        return result;
      } catch (error) {
        out.write(`${clearLine}  ${title}: failed after ${seconds()} s\n`);
        throw error;
      } finally {
        clearInterval(ticker);
      }
    },
  };
}
