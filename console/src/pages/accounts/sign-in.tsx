// Signing in; afterwards one goes where one wanted to.
import { Anchor, Button, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, Navigate, useRouter, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { accountQuery, useSignIn } from "../../api/accounts";
import { fieldError, ProblemBox } from "../../components/problem";

export function SignIn() {
  useDocumentTitle("Sign in · SnapVM");
  const { to } = useSearch({ from: "/signin" });
  const { data: account } = useQuery(accountQuery);
  const router = useRouter();
  const signIn = useSignIn();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  if (account && !signIn.isPending) {
    return to ? <GoTo href={to} /> : <Navigate to="/" replace />;
  }
  return (
    <div className="page page-narrow">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          signIn.mutate({ email, password }, { onSuccess: () => router.history.replace(to ?? "/") });
        }}
      >
        <Stack gap="sm">
          <div>
            <Title order={1}>Sign in</Title>
            {to && (
              <Text size="sm" c="dimmed">
                Sign in to go on where you were.
              </Text>
            )}
          </div>
          <TextInput
            label="E-mail"
            type="email"
            autoComplete="username"
            autoFocus
            required
            value={email}
            onChange={(event) => setEmail(event.currentTarget.value)}
            error={fieldError(signIn.error, "email")}
          />
          <PasswordInput
            label="Password"
            autoComplete="current-password"
            required
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            error={fieldError(signIn.error, "password")}
          />
          <ProblemBox error={signIn.error} fields={["email", "password"]} />
          <Button type="submit" size="sm" loading={signIn.isPending} fullWidth>
            Sign in
          </Button>
          <Text size="sm" c="dimmed">
            No account yet?{" "}
            <Anchor renderRoot={(props) => <Link to="/signup" search={to ? { to } : {}} {...props} />}>
              Sign up
            </Anchor>
          </Text>
        </Stack>
      </form>
    </div>
  );
}

function GoTo({ href }: { href: string }) {
  return <Navigate to={href as "/"} replace />;
}
