/**
 * `JSON.parse`, half of it left out. Parsing eleven kilobytes was the dearest step of a delivery, and most of them are
 * URLs that follow the repository's name and owner, which nobody here reads. GitHub writes a payload's members in a
 * fixed order: what stands before `repository` is parsed, and of the repository the few members that it begins with are
 * read as they stand. In JSON a bare quote can't stand inside a text, so nothing that people write (a branch, a label)
 * can look like a member. Whatever is not in that very form is parsed as a whole, and what is wrong with it is told.
 *
 * Only for bodies whose signature is good: the rest is not looked at.
 */
export function parsePayload(text: string): unknown {
  return parseBeginning(text) ?? JSON.parse(text);
}

const REPOSITORY = ',"repository":{"id":';
const FIRST_MEMBERS =
  /\d+,"node_id":"[\w=+/-]*","name":"([\w.-]+)","full_name":"[\w.-]+\/[\w.-]+","private":(true|false),"owner":\{"login":"([\w.-]+)"/y;

function parseBeginning(text: string): unknown {
  const at = text.indexOf(REPOSITORY);
  if (at === -1 || !text.endsWith("}")) return undefined;
  FIRST_MEMBERS.lastIndex = at + REPOSITORY.length;
  const [, name, isPrivate, login] = FIRST_MEMBERS.exec(text) ?? [];
  if (name === undefined) return undefined;
  try {
    const beginning = JSON.parse(`${text.slice(0, at)}}`) as object;
    return { ...beginning, repository: { name, private: isPrivate === "true", owner: { login } } };
  } catch {
    return undefined;
  }
}
