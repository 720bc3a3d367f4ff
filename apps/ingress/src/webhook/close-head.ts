const REPOSITORY = '"repository":{';
const OWNER = '"owner":{"login":"';

/**
 * A `workflow_job` delivery as far as the name of its repository's owner, closed there: all that we read, and less than half of the
 * bytes, for `JSON.parse` of the whole takes longer than anything else that is done with a delivery. GitHub writes
 * action, workflow job and repository first, and a repository's name, privacy and owner before its addresses.
 * Undefined where that order is not seen.
 *
 * When the head is JSON it says nothing else than the whole: it is the same text, cut off inside of two objects of the outermost,
 * and what was found inside of any other leaves its braces uneven. (So nothing may be cut out before it: a
 * deployment's payload holds whatever its author likes, another repository for one.) That the rest is JSON too is
 * vouched for by GitHub's signature alone.
 */
export function closeHead(text: string): string | undefined {
  const repository = text.indexOf(REPOSITORY);
  const owner = repository === -1 ? -1 : text.indexOf(OWNER, repository);
  const end = owner === -1 ? -1 : text.indexOf('"', owner + OWNER.length);
  // Cut off, the text would end with anything else.
  return end === -1 || !text.endsWith("}") ? undefined : `${text.slice(0, end)}"}}}`;
}
