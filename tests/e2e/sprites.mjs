// The runtime's own word on a machine, asked behind SnapVM's back.
import { check, until } from "./browser.mjs";

/** What the runtime says a machine's sprite is: `running`, `warm` or `cold`. Does not wake it. */
export async function spriteStatus(id) {
  const { SNAPVM_SPRITES: api, SNAPVM_SPRITES_TOKEN: token } = process.env;
  // The name is the id in base 32; see `sprite_name` in protocol/src/ids.rs.
  const bits = BigInt(`0x${id.replaceAll("-", "")}`).toString(2).padStart(128, "0").padEnd(130, "0");
  const letters = bits.match(/.{5}/g).map((five) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(five, 2)]);
  const url = `${api}/v1/sprites/s-${letters.join("")}-g1`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  check(answer.status === 200, `${url} answers ${answer.status}`);
  return (await answer.json()).status;
}

/** Waits until a machine that sleeps has lost its memory. */
export function untilCold(id) {
  return until("the sprite is cold", async () => (await spriteStatus(id)) === "cold", 60_000);
}
