// Wraps prose of a Markdown file that is too wide. Tables, code, headings and what already fits stay as they are.

/** The text with every paragraph and list item that has a line wider than `columns` filled again. */
export function wrapDocument(text: string, columns: number): string {
  const blocks: string[] = [];
  let block: string[] = [];
  let isInFence = false;
  const flush = () => {
    blocks.push(...wrapBlock(block, columns));
    block = [];
  };
  for (const line of text.split('\n')) {
    const isFence = line.trimStart().startsWith('```');
    if (isFence || isInFence || isUnwrappable(line)) {
      flush();
      blocks.push(line);
      if (isFence) isInFence = !isInFence;
      continue;
    }
    if (startsItem(line)) flush();
    block.push(line);
  }
  flush();
  return blocks.join('\n');
}

function isUnwrappable(line: string): boolean {
  return line.trim() === '' || /^(\||#|<!--|\[[^\]]+\]: |>|---)/.test(line);
}

function startsItem(line: string): boolean {
  return /^\s*([-*]|\d+\.) /.test(line);
}

function wrapBlock(lines: readonly string[], columns: number): string[] {
  if (!lines.some((line) => line.length > columns)) return [...lines];
  const marker = lines[0]?.match(/^\s*(?:(?:[-*]|\d+\.) +)?/)?.[0] ?? '';
  const indent = ' '.repeat(marker.length);
  const words = wordsOf(
    lines
      .map((line) => line.trim())
      .join(' ')
      .slice(marker.trim().length),
  );
  const wrapped: string[] = [];
  let current = marker.trimEnd() === '' ? indent : marker;
  let isEmpty = true;
  for (const word of words) {
    if (!isEmpty && current.length + 1 + word.length > columns) {
      wrapped.push(current);
      current = indent;
      isEmpty = true;
    }
    current += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...wrapped, current];
}

/** Words, with code in backticks and links kept in one piece. */
function wordsOf(text: string): string[] {
  return text.match(/(?:`[^`]*`|\[[^\]]*\]\([^)]*\)|[^\s`[]|\[)+/g) ?? [];
}
