// A person's terminal on the test machine: a pseudo terminal whose keys and screen are the test's. It can be resized, and closed
// like a window.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Machine } from './machine.ts';
import { waitFor } from './wait.ts';

let opened = 0;

export class Terminal {
  readonly #machine: Machine;
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown[]>;
  /** Has the device, and what runs in it and shows it, by process id. */
  readonly #folder: string;
  #screen = '';
  #read = 0;

  /** Runs a line of shell in a new terminal of that size. */
  constructor(machine: Machine, line: string, { rows = 30, cols = 100 } = {}) {
    this.#machine = machine;
    this.#folder = `/tmp/terminal-${process.pid}-${++opened}`;
    const inside = `stty rows ${rows} cols ${cols}; tty >${this.#folder}/tty; ${line}`;
    const script = `mkdir -p ${this.#folder}; cd ${this.#folder}; echo $$ >window; printf '%s\\n' "$1" >line
      exec script -qefc 'bash ${this.#folder}/line' /dev/null`;
    this.#child = machine.spawn(['bash', '-c', script, 'bash', inside], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#exit = once(this.#child, 'exit');
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#screen += text;
    });
  }

  press(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** Waits until the text is on the screen, below what was waited for before. */
  async shows(text: string): Promise<void> {
    const seen = () => this.#screen.slice(this.#read);
    await waitFor(`the terminal to show ${text}`, () => seen().includes(text), { seen });
    this.#read = this.#screen.indexOf(text, this.#read) + text.length;
  }

  async resize(rows: number, cols: number): Promise<void> {
    await this.#machine.must(`stty -F "$(cat ${this.#folder}/tty)" rows ${rows} cols ${cols}`);
  }

  /** As when somebody closes the window. */
  async close(): Promise<void> {
    await this.#machine.must(`kill -9 "$(cat ${this.#folder}/window)"`);
  }

  /** The exit code of the line. */
  async ends(): Promise<number> {
    const [code] = await this.#exit;
    await this.#machine.must(`rm -r ${this.#folder}`);
    return Number(code);
  }
}
