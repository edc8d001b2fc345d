// How a service's state is shown, on a machine that may be asleep.
import type { MachineState, Service } from "../../api/schema";
import { type StateLook, serviceLook } from "../../domain/lifecycle";

export function serviceStateLook({ status, desired }: Service, machine: MachineState): StateLook {
  if (desired === "up" && (machine === "hibernated" || machine === "stopped")) {
    return { word: "Asleep", color: "indigo", unfinished: false };
  }
  if (!status) {
    return desired === "up"
      ? { word: "Not started yet", color: "gray", unfinished: false }
      : { word: "Stopped", color: "gray", unfinished: false };
  }
  if (status.state === "stopped" && desired === "up" && status.ready) {
    return { word: "Finished", color: "teal", unfinished: false };
  }
  if (status.state === "starting" && (status.waiting_on ?? []).length > 0) {
    return { word: "Waiting", color: "blue", unfinished: true };
  }
  return serviceLook(status.state);
}
