// The audit log of an organization.
import { queryOptions } from "@tanstack/react-query";
import { answer, api } from "./client";

export const AUDIT_LIMIT = 500;

export const auditQuery = (org: string) =>
  queryOptions({
    queryKey: ["orgs", org, "audit"],
    queryFn: async () =>
      (
        await answer(
          api.GET("/v1/orgs/{org}/audit", { params: { path: { org }, query: { limit: AUDIT_LIMIT } } }),
        )
      ).entries,
  });
