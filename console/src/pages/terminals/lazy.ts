// The terminals with their emulator are loaded when they are first looked at.
import { lazy } from "react";

export const Terminals = lazy(async () => ({ default: (await import("./terminals")).Terminals }));
