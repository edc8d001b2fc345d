// Services of a machine.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { serviceLook } from "../domain/lifecycle";
import { live } from "../feed/live";
import { answer, api } from "./client";
import { machineKey } from "./machines";
import type { PutService, Service } from "./schema";

export const servicesQuery = (org: string, machine: string) =>
  queryOptions({
    queryKey: [...machineKey(org, machine), ":services"],
    queryFn: async () =>
      (
        await answer(
          api.GET("/v1/orgs/{org}/machines/{machine}/services", { params: { path: { org, machine } } }),
        )
      ).services,
    refetchInterval: (query) => live.pace(org, (query.state.data ?? []).some(isUnsettled) ? 2000 : 5000),
  });

// Something is about to change: the state is unfinished, or is not the one that is wanted.
function isUnsettled({ status, desired }: Service): boolean {
  return (
    status != null &&
    (serviceLook(status.state).unfinished || (desired === "up") !== (status.state === "running"))
  );
}

function useRefresh(org: string, machine: string) {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: servicesQuery(org, machine).queryKey });
}

export function usePutService(org: string, machine: string) {
  const refresh = useRefresh(org, machine);
  return useMutation({
    mutationFn: ({ service, body }: { service: string; body: PutService }) =>
      answer(
        api.PUT("/v1/orgs/{org}/machines/{machine}/services/{service}", {
          params: { path: { org, machine, service } },
          body,
        }),
      ),
    onSuccess: refresh,
  });
}

export type ServiceOrder = "start" | "stop" | "restart";

export function useOrderService(org: string, machine: string) {
  const refresh = useRefresh(org, machine);
  return useMutation({
    mutationFn: ({ service, order }: { service: string; order: ServiceOrder }): Promise<Service> => {
      const params = { path: { org, machine, service } };
      switch (order) {
        case "start":
          return answer(api.POST("/v1/orgs/{org}/machines/{machine}/services/{service}/start", { params }));
        case "stop":
          return answer(api.POST("/v1/orgs/{org}/machines/{machine}/services/{service}/stop", { params }));
        case "restart":
          return answer(api.POST("/v1/orgs/{org}/machines/{machine}/services/{service}/restart", { params }));
      }
    },
    onSettled: refresh,
  });
}

export function useDeleteService(org: string, machine: string) {
  const refresh = useRefresh(org, machine);
  return useMutation({
    mutationFn: (service: string) =>
      answer(
        api.DELETE("/v1/orgs/{org}/machines/{machine}/services/{service}", {
          params: { path: { org, machine, service } },
        }),
      ),
    onSuccess: refresh,
  });
}
