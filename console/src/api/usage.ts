// For how long machines were awake.
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { monthSpan } from "../domain/month";
import { answer, api } from "./client";

/** `month`: such as `2026-03`, in UTC. */
export const usageQuery = (org: string, month: string) =>
  queryOptions({
    queryKey: ["orgs", org, "usage", month],
    queryFn: () =>
      answer(api.GET("/v1/orgs/{org}/usage", { params: { path: { org }, query: monthSpan(month) } })),
    placeholderData: keepPreviousData,
  });
