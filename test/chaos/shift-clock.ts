/**
 * Given to a process by `node --import`: its clock goes CLOCK_AHEAD_MS ahead of everybody else's. Timers are left alone,
 * as where a computer's clock is set wrong.
 */
const aheadMs = Number(process.env.CLOCK_AHEAD_MS);
const now = Date.now;

globalThis.Date = new Proxy(Date, {
  construct(target, args, newTarget) {
    return Reflect.construct(target, args.length === 0 ? [now() + aheadMs] : args, newTarget) as Date;
  },
});
Date.now = () => now() + aheadMs;
