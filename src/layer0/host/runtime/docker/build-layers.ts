// Which images does a classic build make on its way? They carry no label of ours, and those of a failed step or an earlier
// stage stay when the build is over: each stage's newest gets a name, by which the collector knows it.

const stepLine = /^Step \d+\/\d+ : (\S+)/;
const layerLine = /^ ---> ([0-9a-f]{12,64})$/;

export interface BuildLayer {
  /** From 0; each FROM begins one. */
  stage: number;
  id: string;
}

/** Reads the lines of a build. What a process prints may look like one of them: look at the image before you believe it. */
export class BuildLayers {
  #stage = -1;
  #isMaking = false;
  last: BuildLayer | undefined;

  /** The layer that this line says was made; none for a base image and for one that was there. */
  take(line: string): BuildLayer | undefined {
    const step = stepLine.exec(line)?.[1];
    if (step !== undefined) {
      const isBase = step.toUpperCase() === 'FROM';
      if (isBase) this.#stage++;
      this.#isMaking = !isBase;
      return undefined;
    }
    if (line === ' ---> Using cache') this.#isMaking = false;
    const id = layerLine.exec(line)?.[1];
    if (id === undefined || !this.#isMaking) return undefined;
    this.last = { stage: this.#stage, id };
    return this.last;
  }
}
