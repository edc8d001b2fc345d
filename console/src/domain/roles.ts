// Roles, and sentences for what one may not do. What is not allowed is shown disabled with its reason, not hidden.
import type { Role } from "../api/schema";

export const ROLES: readonly Role[] = ["viewer", "member", "admin", "owner"];

export function rank(role: Role): number {
  return ROLES.indexOf(role);
}

/** Why this role may not do what needs `least`; `null` when it may. */
export function refuseRole(role: Role | undefined, least: Role): string | null {
  if (role !== undefined && rank(role) >= rank(least)) {
    return null;
  }
  return `This needs the role ${least} or higher${role ? `; yours is ${role}` : ""}.`;
}

export const ROLE_MEANING: Record<Role, string> = {
  viewer: "Sees everything and watches terminals, changes nothing",
  member: "Creates and uses machines",
  admin: "Also manages members and everybody's machines",
  owner: "May do everything",
};
