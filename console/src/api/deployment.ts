// What the deployment offers.
import { queryOptions } from "@tanstack/react-query";
import { answer, api } from "./client";

export const deploymentQuery = queryOptions({
  queryKey: ["config"],
  queryFn: () => answer(api.GET("/v1/config")),
  staleTime: Number.POSITIVE_INFINITY,
});
