import { cleanup, render, screen } from "@testing-library/svelte";
import { afterEach, expect, test } from "vitest";
import { type Backend, BackendError } from "../lib/backend/backend";
import Start from "./Start.svelte";

function backend(connected_clients: number): Backend {
  const timestamp = "2026-11-20T11:00:00Z";
  const health = { status: "running", service: "deskhand-relay", connected_clients, timestamp };
  return { health: async () => health };
}

afterEach(cleanup);

test("says how many devices the relay holds", async () => {
  render(Start, { backend: backend(2) });
  expect(screen.getByRole("status").textContent).toContain("Asking the relay");
  await screen.findByText(/The relay is running; 2 devices are connected\./);
});

test("counts one device as one", async () => {
  render(Start, { backend: backend(1) });
  await screen.findByText(/1 device is connected/);
});

test("says why the relay cannot be reached", async () => {
  const health = () => Promise.reject(new BackendError("127.0.0.1:8765 does not answer"));
  render(Start, { backend: { health } });
  await screen.findByText(/The relay cannot be reached: 127\.0\.0\.1:8765 does not answer\./);
});

test("the desktop window has nothing to ask yet", () => {
  render(Start, { backend: null });
  expect(screen.getByRole("heading").textContent).toBe("Deskhand");
  expect(screen.queryByRole("status")).toBeNull();
});
