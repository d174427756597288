// Limits of the store on several machines, with their names.

/** Machines with a copy of the store: one of them may be lost. */
export const wantedMembers = 3;
/** Ports beside that of the peer door: where etcd's clients reach it, and its members each other. */
export const clientPortOffset = 1;
export const peerPortOffset = 2;
/** Free on the disk of a machine that is to have a copy: etcd's database, its log, and a snapshot beside it. */
export const neededBytes = 2 * 1024 * 1024 * 1024;
/** Memory of etcd's container. */
export const memberMemoryBytes = 1024 * 1024 * 1024;
/** Its weight on a busy machine: the whole cluster waits for it. */
export const memberCpuMillis = 4_000;
/** Longest time for one question to another machine. */
export const callTimeoutMs = 10_000;
/** ... and for whether it is fit: a person waits for all of them. */
export const candidateTimeoutMs = 4_000;
/** Longest time until the new members of an etcd answer. */
export const membersUpMs = 120_000;
/** How often a machine looks whether the store has moved, and at the container of its etcd. */
export const lookMs = 5_000;
/** Silence of etcd's leader until another one is elected: on a busy disk one second is nothing. */
export const leaderSilenceMs = 2_000;
/** Of who changes the members. */
export const electionTtlMs = 30_000;
/** How often the members of etcd are compared with the machines of the cluster. */
export const membersEveryMs = 10_000;
/** Longest wait for one member. */
export const memberAnswerMs = 3_000;
/** From its start until the etcd of another image serves; then the one before it runs again. */
export const renewalLimitMs = 60_000;
/** How often what is being replaced is looked at. */
export const renewalLookMs = 500;
/** ... and what waits for its turn. */
export const renewalWaitMs = 2_000;
