// Colour, sparingly: for states that ask for a look, and only where a person can see it.

export type Colour = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

const codes: Record<Colour, number> = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 };

export type Paint = (text: string, colour: Colour | undefined) => string;

export function paintFor(
  screen: { isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Paint {
  const isColoured = screen.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  return (text, colour) =>
    isColoured && colour !== undefined && text !== ''
      ? `\u001b[${codes[colour]}m${text}\u001b[0m`
      : text;
}

/** Of jobs, deployments and checks. */
export function stateColour(state: string): Colour | undefined {
  if (state === 'up' || state === 'complete' || state === 'ok') return 'green';
  if (state.startsWith('failed') || state === 'FAILED') return 'red';
  if (/^(pending|placed|starting|stopping|running|rolling-back|up, )/.test(state)) return 'yellow';
  return state === 'down' || state === 'superseded' ? 'dim' : undefined;
}
