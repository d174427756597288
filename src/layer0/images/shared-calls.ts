// Whoever asks for what is under way already waits for that: ten jobs of one image fetch it once.

export class SharedCalls<T> {
  readonly #underWay = new Map<string, Promise<T>>();

  once(key: string, call: () => Promise<T>): Promise<T> {
    const known = this.#underWay.get(key);
    if (known !== undefined) return known;
    const fresh = call().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, fresh);
    return fresh;
  }
}
