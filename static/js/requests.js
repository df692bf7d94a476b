// Ask the server: once, for the newest question only, or again and again while a run is under way.
(() => {
  "use strict";
  const studio = window.studio;
  const BUSY_MS = 1500, FAILED_MS = 4000;
  Object.assign(studio, { BUSY_MS, FAILED_MS });

  /** Fetch JSON below `api/`. Throws where the server does not answer; a refusal is thrown as {status, message}. */
  studio.getJson = async (path, query = {}) => {
    const response = await fetch(`${studio.root()}/api/${path}?${new URLSearchParams(query)}`, { credentials: "same-origin" });
    const body = await response.json();
    if (!response.ok) throw Object.assign(new Error(body.message || ""), { status: response.status });
    return body;
  };

  /** The address of what is known of a run, below `api/`. */
  studio.runPath = (id, part) => `runs/${encodeURIComponent(id)}/${part}`;

  /** A function like `getJson` for a view of which only the newest question counts: an answer that came too late is undefined. */
  studio.newestOnly = () => {
    let newest = 0;
    const ask = async (path, query) => {
      const number = ++newest;
      try {
        const body = await studio.getJson(path, query);
        return number === newest ? body : undefined;
      } catch (error) {
        if (number !== newest) return undefined;
        throw error;
      }
    };
    ask.forget = () => { newest += 1; };
    return ask;
  };

  /**
   * Call `ask` again and again, as long as `isSeen()`.
   * take(answer) and fail(error) draw what came of it; wait() then says how many milliseconds to rest, or null to end.
   * Returns {now, stop}; an answer that is on its way when they are called is forgotten.
   */
  studio.poll = ({ isSeen, ask, take, fail, wait }) => {
    let timer = 0, turn = 0;
    const tick = async () => {
      const mine = turn;
      if (!isSeen()) return void (timer = setTimeout(tick, BUSY_MS));
      try {
        const answer = await ask();
        if (mine !== turn) return;
        take(answer);
      } catch (error) {
        if (mine !== turn) return;
        fail(error);
      }
      if (mine !== turn) return; // what came led to another question, whose own tick is under way
      const rest = wait();
      if (rest !== null) timer = setTimeout(tick, rest);
    };
    const stop = () => {
      turn += 1;
      clearTimeout(timer);
    };
    const now = () => {
      stop();
      timer = setTimeout(tick, 0);
    };
    return { now, stop };
  };

  /**
   * Follow the report of one run to its end, while `host` can be seen. Returns follow(id); with no id it rests.
   * draw(view) gets {is_over, ...}; none() says that there is no such run, unreached() that the server does not answer,
   * and done() that the run has ended under the visitor's eyes.
   */
  studio.followReport = (host, part, { query = {}, draw, none, unreached = () => {}, done }) => {
    let run = "", rest = null, wasUnderWay = false;
    const poll = studio.poll({
      isSeen: () => studio.isSeen(host),
      ask: () => studio.getJson(studio.runPath(run, part), query),
      take: (view) => {
        draw(view);
        if (view.is_over && wasUnderWay) done();
        wasUnderWay = !view.is_over;
        rest = view.is_over ? null : BUSY_MS;
      },
      fail: ({ status }) => {
        if (status) none();
        else unreached();
        rest = status ? null : FAILED_MS; // what is shown stays
      },
      wait: () => rest,
    });
    return (id) => {
      [run, wasUnderWay] = [id, false];
      if (run) poll.now();
      else poll.stop();
    };
  };
})();
