// What a process starts and stops. `createX(deps, config)` of every component returns one.

export interface Component {
  start(): Promise<void>;
  /** Ends everything the component began; safe to call twice. */
  stop(): Promise<void>;
  /** What `gantry doctor` and the tests look at: plain data, cheap to make. */
  status(): Record<string, unknown>;
}

/** Starts components in order and stops them in reverse, also when one fails to start. */
export function composeComponents(parts: Component[]): Component {
  const started: Component[] = [];
  const stop = async () => {
    for (let part = started.pop(); part; part = started.pop()) await part.stop();
  };
  return {
    async start() {
      try {
        for (const part of parts) {
          started.push(part);
          await part.start();
        }
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
    status: () =>
      Object.assign({}, ...parts.map((part) => part.status())) as Record<string, unknown>,
  };
}
