// Which page is shown: the part of the address behind `#`, so that no relay has to know our pages.

export const VIEWS = [
  "tasks",
  "schedules",
  "overview",
  "connect",
  "devices",
  "workspaces",
  "keys",
  "audit",
  "settings",
  "about",
] as const;

export type ViewName = (typeof VIEWS)[number];

export interface Route {
  view: ViewName;
  /** The task that is open. */
  task: string | null;
}

export function parseRoute(hash: string): Route {
  const [view, detail] = hash.replace(/^#\/?/, "").split("/");
  const known = VIEWS.find((name) => name === view) ?? "tasks";
  const isTask = known === "tasks" && /^[0-9a-f-]{36}$/.test(detail ?? "");
  return { view: known, task: isTask ? (detail ?? null) : null };
}

export function hashOf(route: Route): string {
  return route.task === null ? `#/${route.view}` : `#/${route.view}/${route.task}`;
}

class Router {
  route = $state.raw<Route>(parseRoute(location.hash));

  constructor() {
    addEventListener("hashchange", () => {
      this.route = parseRoute(location.hash);
    });
  }

  go(view: ViewName, task: string | null = null): void {
    location.hash = hashOf({ view, task });
  }
}

export const router = new Router();
