// `gantry completion`: scripts that ask `gantry __complete` what can come next, so that they never lag behind the commands.

import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';

const bash = `# Completion of gantry for bash. Load it with: source <(gantry completion bash)
_gantry() {
  local typed candidate
  # The words up to the cursor, as they stand: bash's own list cuts them at colons.
  read -r -a typed <<< "\${COMP_LINE:0:COMP_POINT}"
  [[ "\${COMP_LINE:0:COMP_POINT}" == *[[:space:]] ]] && typed+=("")
  local last="\${typed[-1]}"
  local current="\${COMP_WORDS[COMP_CWORD]}"
  [[ "$current" == ":" ]] && current=""
  # What is on the line before the piece that bash replaces.
  local before="\${last%"$current"}"
  COMPREPLY=()
  while IFS= read -r candidate; do
    COMPREPLY+=("\${candidate#"$before"}")
  done < <(gantry __complete -- "\${typed[@]:1}" 2> /dev/null)
}
complete -F _gantry gantry
`;

const zsh = `#compdef gantry
# Completion of gantry for zsh. Load it with: source <(gantry completion zsh)
_gantry() {
  local -a candidates
  candidates=("\${(@f)$(gantry __complete -- "\${(@)words[2,CURRENT]}" 2> /dev/null)}")
  compadd -Q -- \${candidates}
}
if [ "$funcstack[1]" = "_gantry" ]; then
  _gantry "$@"
else
  compdef _gantry gantry
fi
`;

const fish = `# Completion of gantry for fish. Load it with: gantry completion fish | source
function __gantry_complete
  set -l words (commandline --current-process --tokenize --cut-at-cursor)
  gantry __complete -- $words[2..] (commandline --current-token --cut-at-cursor) 2> /dev/null
end
complete --command gantry --no-files --arguments '(__gantry_complete)'
`;

export const scripts: Readonly<Record<string, string>> = { bash, zsh, fish };

export async function printCompletion({ args, io }: Call): Promise<undefined> {
  const shell = args.words[0] ?? '';
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
  if (script === undefined)
    throw cliErrors.usage(`there is no completion for ${shell}: say bash, zsh or fish`);
  io.stdout.write(script);
}
