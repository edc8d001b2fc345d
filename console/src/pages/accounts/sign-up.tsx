// Signing up: an account with a first organization.
import { Anchor, Button, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, Navigate, useRouter, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { accountQuery, useSignUp } from "../../api/accounts";
import { fieldError, ProblemBox } from "../../components/problem";

const PASSWORD_MIN = 10;
const FIELDS = ["name", "email", "password"] as const;

export function SignUp() {
  useDocumentTitle("Sign up · SnapVM");
  const { to } = useSearch({ from: "/signup" });
  const { data: account } = useQuery(accountQuery);
  const router = useRouter();
  const signUp = useSignUp();
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [left, setLeft] = useState(false);
  if (account && !signUp.isPending && !signUp.isSuccess) {
    return <Navigate to="/" replace />;
  }
  const short = left && password !== "" && [...password].length < PASSWORD_MIN;
  return (
    <div className="page page-narrow">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          signUp.mutate({ name, email, password }, { onSuccess: () => router.history.replace(to ?? "/") });
        }}
      >
        <Stack gap="sm">
          <div>
            <Title order={1}>Sign up</Title>
            <Text size="sm" c="dimmed">
              Development machines in the browser that keep their files and sleep when nobody uses them.
            </Text>
          </div>
          <TextInput
            label="Name"
            description="What others see."
            autoComplete="name"
            autoFocus
            required
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={fieldError(signUp.error, "name")}
          />
          <TextInput
            label="E-mail"
            type="email"
            autoComplete="username"
            required
            value={email}
            onChange={(event) => setEmail(event.currentTarget.value)}
            error={fieldError(signUp.error, "email")}
          />
          <PasswordInput
            label="Password"
            description={`At least ${PASSWORD_MIN} characters. Length is what counts.`}
            autoComplete="new-password"
            required
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            onBlur={() => setLeft(true)}
            error={
              short
                ? `A password has at least ${PASSWORD_MIN} characters.`
                : fieldError(signUp.error, "password")
            }
          />
          <ProblemBox error={signUp.error} fields={FIELDS} />
          <Button type="submit" size="sm" loading={signUp.isPending} fullWidth>
            Sign up
          </Button>
          <Text size="sm" c="dimmed">
            Have an account?{" "}
            <Anchor renderRoot={(props) => <Link to="/signin" search={to ? { to } : {}} {...props} />}>
              Sign in
            </Anchor>
          </Text>
        </Stack>
      </form>
    </div>
  );
}
