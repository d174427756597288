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
   * A machine that has not answered for this long is away: its connections end. It is also the longest time until it has
   * taken a connection to its process. Longer than the pauses that are no failure.
   */
  pingTimeoutMs: number;
}
export const limits: Limits = { maxConnections: 1_024, pingEveryMs: 1_000, pingTimeoutMs: 4_000 };
/** Longest time between two looks at what is to be listened for, when nothing tells. */
export const resyncMs = 10_000;
/** Most bytes in one frame. */
export const maxFrameBytes = 64 * 1024;
