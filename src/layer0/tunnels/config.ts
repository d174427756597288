// Limits of tunnels, with their names.

/** Loopback ports of other machines that this one listens for. */
export const maxTunnels = 2_000;
/** Longest time for the connection to the process itself, on the machine that it is on. */
export const dialTimeoutMs = 2_000;
/**
 * The other machine is asked for when the caller has said something, or after this long for a protocol in which the process
 * speaks first: whoever only looks whether the port is open, as a health check does, costs no connection.
 */
export const speakFirstMs = 200;
export interface Limits {
  /** Connections through tunnels at one time, those that begin here and those that end here each. */
  maxConnections: number;
  /** How often a machine is asked whether it is there, while there are connections to it or it did not answer. */
  pingEveryMs: number;
  /**
   * A machine that has not answered a ping for this long is away: nothing new goes to it. Longer than the pauses that are
   * no failure.
   */
  pingTimeoutMs: number;
  /**
   * One that has answered none for this long, more than one of them, loses its connections. Longer than a ping may take,
   * so that one late answer of a busy machine ends nothing; two pings, in which it is noticed, take 9 s at most.
   */
  endAfterMs: number;
  /**
   * Longest time in which a connection to a process is asked for again, when the machine cannot be reached or does not know
   * the process: it may have begun a moment ago, or be about to answer. The caller's first words wait here meanwhile.
   */
  patienceMs: number;
}
export const limits: Limits = {
  maxConnections: 1_024,
  pingEveryMs: 1_000,
  pingTimeoutMs: 4_000,
  endAfterMs: 7_000,
  patienceMs: 2_000,
};
/** Between two times. */
export const askAgainMs = 100;
/** Longest time between two looks at what is to be listened for, when nothing tells. */
export const resyncMs = 10_000;
/** Most bytes in one frame. */
export const maxFrameBytes = 64 * 1024;
