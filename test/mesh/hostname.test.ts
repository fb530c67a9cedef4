// Names are made of this machine's host name; here it is one that no file name or Message-ID may carry as it is.

import { beforeEach, describe, expect, it, vi } from "vitest";
import { isOurName, isSafeName } from "../../src/mesh/maildir.ts";
import { compose, hostName, parse, uniqueName } from "../../src/mesh/message.ts";
import { draft } from "./temp-mesh.ts";

const host = vi.hoisted(() => ({ name: "laptop" }));
vi.mock("node:os", async (original) => ({
  ...(await original<typeof import("node:os")>()),
  hostname: () => host.name,
}));

describe.each([
  "laptop.local",
  "a/b:c",
  "two words",
  "a<b>@c",
  "büro-pc",
  "Bob’s Mac",
  "bob's mac",
  "日本",
  "",
  "\n",
  "x".repeat(64),
])("on a machine called %j", (name) => {
  beforeEach(() => {
    host.name = name;
  });

  it("a unique name is ours, is no path, and is safe in a Message-ID", () => {
    const unique = uniqueName();
    expect(unique).not.toMatch(/[/:\s]/);
    expect(isOurName(unique)).toBe(true);
    expect(isSafeName(unique)).toBe(true);
  });

  it("an address on it survives its message", () => {
    const from = { name: "web", id: "a8d0m2kq", host: hostName() };
    expect(parse(compose(draft({ from })), "u").from).toEqual(from);
  });
});

it("`/` and `:` are written as maildir(5) says", () => {
  host.name = "a/b:c";
  expect(hostName()).toBe("a\\057b\\072c");
});
