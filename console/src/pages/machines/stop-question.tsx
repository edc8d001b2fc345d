// Stopping a machine ends what runs in it, so it is asked first.
import { useDisclosure } from "@mantine/hooks";
import { useOrderMachine } from "../../api/machines";
import { ConfirmDialog } from "../../components/confirm-dialog";

export function useStopQuestion(org: string, machine: string) {
  const [opened, { open, close }] = useDisclosure();
  const order = useOrderMachine(org);
  return {
    ask: open,
    dialog: (
      <ConfirmDialog
        opened={opened}
        title={`Stop ${machine}?`}
        confirm="Stop"
        pending={order.isPending}
        error={order.error}
        onConfirm={() => order.mutate({ machine, order: "stop" }, { onSuccess: close })}
        onClose={close}
      >
        Its services are stopped and its shells are ended. It stays asleep, also when its URL is opened, until
        somebody starts it. Its files stay.
      </ConfirmDialog>
    ),
  };
}
