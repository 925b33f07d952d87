// All tasks of a device, newest first, of which only the pages around the reader are held. The list
// stands still at the task that was newest when it was opened; what came since is put before it.

import { type Backend, BackendError, type LiveEvent } from "../backend/backend";
import type { Source, TaskFilter, TaskHit, TaskStatus, TaskView } from "../protocol";
import { once } from "./once";

const PAGE = 100;

/** Pages that are held. */
const MOST_PAGES = 40;

/** Changes that are held beside the pages; beyond, everything is read again. */
const MOST_CHANGES = 2_000;

/** New tasks that are held beside the pages. */
const MOST_FRESH = 2_000;

/** How often new tasks are read at most. */
const READ_NEW_MS = 100;

/** What the reader wants to see. */
export interface Wanted {
  text: string;
  status: TaskStatus | "";
  success: "" | "yes" | "no";
  source: Source | "";
  action: string;
  caller: string;
  /** How many hours back; 0 is all. */
  hours: number;
}

export const EVERYTHING: Wanted = {
  text: "",
  status: "",
  success: "",
  source: "",
  action: "",
  caller: "",
  hours: 0,
};

export type Row = { task: TaskView; hit: TaskHit | null };

type Listing = { kind: "loading" } | { kind: "ready" } | { kind: "failed"; problem: string };

export class TaskList {
  wanted = $state.raw<Wanted>(EVERYTHING);
  listing = $state.raw<Listing>({ kind: "loading" });
  /** Tasks up to the one the list stands still at. */
  total = $state(0);
  /** Whether there was no task at all when everything was read. */
  isEmpty = $state(false);
  fresh = $state.raw<TaskView[]>([]);
  hits = $state.raw<TaskHit[] | null>(null);
  hasMoreHits = $state(false);
  /** Changes with every page and every change of a task. */
  version = $state(0);
  #pages = new Map<number, TaskView[]>();
  #asked = new Set<number>();
  #changes = new Map<string, Partial<TaskView>>();
  /** The task the list stands still at. */
  #anchor: string | null = null;
  /** The newest one that is known. */
  #newest: string | null = null;
  #generation = 0;
  readonly #readNew = once(() => this.#readFresh(), READ_NEW_MS);

  constructor(
    readonly backend: Backend,
    readonly device: string,
  ) {}

  get length(): number {
    return this.hits?.length ?? this.fresh.length + this.total;
  }

  get isFiltered(): boolean {
    return JSON.stringify(this.wanted) !== JSON.stringify(EVERYTHING);
  }

  /** Shows other tasks. */
  async want(wanted: Wanted): Promise<void> {
    this.wanted = wanted;
    await this.read();
  }

  /** Reads everything that is shown again. */
  async read(): Promise<void> {
    const mine = ++this.#generation;
    if (this.listing.kind === "failed") this.listing = { kind: "loading" };
    try {
      if (this.wanted.text.trim() !== "") await this.#search(mine);
      else await this.#open(mine);
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      if (mine === this.#generation) this.listing = { kind: "failed", problem: error.message };
    }
  }

  async #open(mine: number): Promise<void> {
    const answer = await this.#list({ limit: PAGE, skip: 0, count: true });
    if (mine !== this.#generation) return;
    this.#pages.clear();
    this.#asked.clear();
    this.#changes.clear();
    this.hits = null;
    this.fresh = [];
    this.#newest = answer.tasks[0]?.uid ?? null;
    this.#anchor = this.#newest;
    this.total = answer.n_total ?? answer.tasks.length;
    // A page that is not full, because its tasks are large, is read again when it is looked at.
    if (answer.tasks.length === Math.min(PAGE, this.total)) this.#pages.set(0, answer.tasks);
    this.isEmpty = !this.isFiltered && this.total === 0;
    this.listing = { kind: "ready" };
    this.version += 1;
  }

  async #search(mine: number): Promise<void> {
    const found = await this.#find(null);
    if (mine !== this.#generation || found === null) return;
    this.hits = found.hits;
    this.hasMoreHits = found.has_more;
    this.listing = { kind: "ready" };
    this.version += 1;
  }

  async #find(before: string | null) {
    const place = before === null ? {} : { before };
    const filter = { ...this.#filter(), ...place, limit: 50, skip: 0, count: false };
    const text = this.wanted.text;
    const answer = await this.backend.request(this.device, { type: "search_tasks", text, filter });
    return answer.type === "found" ? answer : null;
  }

  /** Says which rows are looked at; what is not here of them is read. */
  need(from: number, to: number): void {
    if (this.hits !== null) {
      if (this.hasMoreHits && to >= this.hits.length) void this.#readMoreHits();
      return;
    }
    const first = Math.max(0, Math.floor((from - this.fresh.length) / PAGE));
    const last = Math.floor((Math.min(to - this.fresh.length, this.total) - 1) / PAGE);
    for (let page = first; page <= last; page += 1) void this.#readPage(page);
  }

  row(index: number): Row | null {
    if (this.hits !== null) {
      const hit = this.hits[index];
      return hit === undefined ? null : { task: this.#now(hit.task), hit };
    }
    const place = index - this.fresh.length;
    const task = place < 0 ? this.fresh[index] : this.#pages.get(Math.floor(place / PAGE))?.[place % PAGE];
    return task === undefined ? null : { task: this.#now(task), hit: null };
  }

  /** Returns where a task is among the rows that are held. */
  indexOf(uid: string): number {
    for (let index = 0; index < this.fresh.length; index += 1) {
      if (this.fresh[index]?.uid === uid) return index;
    }
    if (this.hits !== null) return this.hits.findIndex((hit) => hit.task.uid === uid);
    for (const [page, tasks] of this.#pages) {
      const place = tasks.findIndex((task) => task.uid === uid);
      if (place >= 0) return this.fresh.length + page * PAGE + place;
    }
    return -1;
  }

  /** Takes in what happened. */
  hear(events: LiveEvent[]): void {
    let hasNew = false;
    let hasChanged = false;
    for (const event of events) {
      if (event.type === "gap") {
        void this.read();
        return;
      }
      if (event.type === "started") this.#change(event.uid, { status: "in_progress", started_at: event.at });
      else if (event.type === "asked") this.#change(event.uid, { status: "awaiting_approval" });
      else if (event.type === "ended") {
        const { status, returncode, code, error, at } = event;
        this.#change(event.uid, { status, returncode, code, error, completed_at: at });
      } else if (event.type !== "queued") continue;
      hasChanged = true;
      if (this.#newest === null || event.uid > this.#newest) hasNew = true;
    }
    if (hasChanged) this.version += 1;
    if (hasNew && this.hits === null) this.#readNew();
    if (this.#changes.size > MOST_CHANGES || this.fresh.length > MOST_FRESH) void this.read();
  }

  #change(uid: string, change: Partial<TaskView>): void {
    this.#changes.set(uid, { ...this.#changes.get(uid), ...change });
  }

  #now(task: TaskView): TaskView {
    const change = this.#changes.get(task.uid);
    if (change === undefined || task.completed_at !== null) return task;
    return { ...task, ...change };
  }

  async #readFresh(): Promise<void> {
    const mine = this.#generation;
    try {
      const { tasks } = await this.#list({ limit: PAGE, skip: 0, count: false });
      if (mine !== this.#generation || this.listing.kind !== "ready") return;
      const newest = this.#newest;
      const news = tasks.filter((task) => newest === null || task.uid > newest);
      if (news.length === 0) return;
      if (news.length === PAGE) {
        await this.read();
        return;
      }
      this.#newest = news[0]?.uid ?? newest;
      this.fresh = [...news, ...this.fresh];
      this.version += 1;
    } catch (error) {
      // The next event asks again.
      if (!(error instanceof BackendError)) throw error;
    }
  }

  async #readPage(page: number): Promise<void> {
    if (this.#pages.has(page) || this.#asked.has(page)) return;
    const mine = this.#generation;
    const anchor = this.#anchor;
    if (anchor === null) return;
    this.#asked.add(page);
    try {
      const tasks: TaskView[] = [];
      const wanted = Math.min(PAGE, this.total - page * PAGE);
      while (tasks.length < wanted) {
        const skip = page * PAGE + tasks.length;
        const limit = wanted - tasks.length;
        const more = await this.#list({ newest: anchor, skip, limit, count: false });
        if (mine !== this.#generation) return;
        if (more.tasks.length === 0) break;
        tasks.push(...more.tasks);
      }
      this.#pages.set(page, tasks);
      // The oldest read go first: they are the farthest from the reader.
      for (const [old] of this.#pages) {
        if (this.#pages.size <= MOST_PAGES) break;
        this.#pages.delete(old);
      }
      this.version += 1;
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
    } finally {
      this.#asked.delete(page);
    }
  }

  async #readMoreHits(): Promise<void> {
    const last = this.hits?.at(-1);
    if (last === undefined || this.#asked.has(-1)) return;
    const mine = this.#generation;
    this.#asked.add(-1);
    try {
      const found = await this.#find(last.task.uid);
      if (mine !== this.#generation || found === null) return;
      this.hits = [...(this.hits ?? []), ...found.hits];
      this.hasMoreHits = found.has_more;
      this.version += 1;
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      this.hasMoreHits = false;
    } finally {
      this.#asked.delete(-1);
    }
  }

  #filter(): Partial<TaskFilter> {
    const { status, success, source, action, caller, hours } = this.wanted;
    const filter: Partial<TaskFilter> = {};
    if (status !== "") filter.status = status;
    if (success !== "") filter.success = success === "yes";
    if (source !== "") filter.source = source;
    if (action !== "") filter.action = action;
    if (caller !== "") filter.caller = caller;
    if (hours > 0) filter.since = new Date(Date.now() - hours * 3_600_000).toISOString();
    return filter;
  }

  async #list(place: Pick<TaskFilter, "limit" | "skip" | "count"> & { newest?: string }) {
    const filter: TaskFilter = { ...this.#filter(), ...place };
    const answer = await this.backend.request(this.device, { type: "list_tasks", ...filter });
    if (answer.type !== "tasks") throw new BackendError("the device answered something else");
    return answer;
  }
}
