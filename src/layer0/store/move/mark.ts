// What the file of an embedded store says about a move to etcd. `deciding` is written before the one commit that decides: a
// life that finds it writes nothing until etcd has said how that went. `moved` is for ever.

import { parser, type Static, Type } from '#core/schema';

const markSchema = Type.Object({
  state: Type.Union([Type.Literal('deciding'), Type.Literal('moved')]),
  /** Where the store went, or is going: what etcd.json of the machine is to say. Opaque here. */
  place: Type.Unknown(),
});
export type MoveMark = Static<typeof markSchema>;

const markParser = parser(markSchema);

export function readMark(text: string | undefined): MoveMark | undefined {
  return text === undefined ? undefined : markParser.parse(JSON.parse(text), 'the mark of a move');
}
